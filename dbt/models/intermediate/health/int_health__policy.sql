-- Grain: profile_id, valid_from_on, measure; the policy set in use, spread over its periods.
with

weights as (
    select * from {{ ref('health_component_weights') }}
    where policy_set = '{{ health_policy_set() }}'
),

measures as (
    select * from {{ ref('health_measures') }}
),

measure_policy as (
    select * from {{ ref('health_measure_policy') }}
    where policy_set = '{{ health_policy_set() }}'
),

zones as (
    select * from {{ ref('health_zones') }}
    where policy_set = '{{ health_policy_set() }}'
),

parameters as (
    select * from {{ ref('health_policy') }}
    where policy_set = '{{ health_policy_set() }}'
),

profiles as (
    select distinct
        policy_set,
        profile_id
    from {{ ref('health_profiles') }}
    where policy_set = '{{ health_policy_set() }}'
),

-- What the measures count by: windows, limits and lists, each in force from a day. The ranges of
-- renewal expectations that begin on one day hold together, the others one by one.
definitions as (
    select
        parameter as part,
        parameter as subject,
        concat_ws('=', parameter, cast(value as varchar)) as setting,
        effective_from
    from {{ ref('health_definitions') }}
    union all
    select
        'support_targets' as part,
        severity as subject,
        concat_ws('=', severity, cast(resolution_target_hours as varchar)) as setting,
        effective_from
    from {{ ref('support_targets') }}
    union all
    select
        'health_contact_roles' as part,
        role as subject,
        concat_ws(
            '=', role, cast(is_champion as varchar), cast(is_sponsor as varchar)
        ) as setting,
        effective_from
    from {{ ref('health_contact_roles') }}
    union all
    select
        'health_renewal_expectations' as part,
        'all' as subject,
        concat_ws(
            '=',
            coalesce(cast(days_from as varchar), '-'),
            cast(expected_probability_ratio as varchar)
        ) as setting,
        effective_from
    from {{ ref('health_renewal_expectations') }}
),

-- Every date on which something of the profile, or of what it falls back on, changes.
changes as (
    select
        profile_id,
        effective_from
    from measure_policy
    union all
    select
        profile_id,
        effective_from
    from weights
    union all
    select
        'default' as profile_id,
        effective_from
    from zones
    union all
    select
        'default' as profile_id,
        effective_from
    from parameters
    union all
    select
        'default' as profile_id,
        effective_from
    from definitions
),

starts as (
    select distinct
        profiles.policy_set,
        profiles.profile_id,
        changes.effective_from as valid_from_on
    from profiles
    inner join changes
        on profiles.profile_id = changes.profile_id or changes.profile_id = 'default'
),

periods as (
    select
        policy_set,
        profile_id,
        valid_from_on,
        lead(valid_from_on) over (
            partition by profile_id order by valid_from_on
        ) as valid_to_on
    from starts
),

-- A profile's own row wins over the default profile's, then the newest row in force wins.
component_weights_in_force as (
    select
        periods.profile_id,
        periods.valid_from_on,
        weights.component,
        weights.weight
    from periods
    inner join weights
        on
            (periods.profile_id = weights.profile_id or weights.profile_id = 'default')
            and periods.valid_from_on >= weights.effective_from
    qualify row_number() over (
        partition by periods.profile_id, periods.valid_from_on, weights.component
        order by
            case when periods.profile_id = weights.profile_id then 0 else 1 end,
            weights.effective_from desc
    ) = 1
),

measures_in_force as (
    select
        periods.policy_set,
        periods.profile_id,
        periods.valid_from_on,
        periods.valid_to_on,
        measure_policy.profile_id as line_profile_id,
        measure_policy.effective_from as line_effective_from,
        measure_policy.measure,
        measure_policy.component,
        measure_policy.weight,
        measure_policy.method,
        measure_policy.floor_value,
        measure_policy.ceiling_value,
        measure_policy.expiry_days,
        measure_policy.min_tenure_days,
        measure_policy.force_scope,
        measure_policy.force_at_or_below,
        measure_policy.force_to
    from periods
    inner join measure_policy
        on
            (
                periods.profile_id = measure_policy.profile_id
                or measure_policy.profile_id = 'default'
            )
            and periods.valid_from_on >= measure_policy.effective_from
    qualify row_number() over (
        partition by periods.profile_id, periods.valid_from_on, measure_policy.measure
        order by
            case when periods.profile_id = measure_policy.profile_id then 0 else 1 end,
            measure_policy.effective_from desc
    ) = 1
),

settings_in_force as (
    select
        periods.profile_id,
        periods.valid_from_on,
        measures.measure,
        definitions.setting
    from periods
    cross join measures
    inner join definitions
        on
            concat(' ', measures.defined_by, ' ') like concat('% ', definitions.part, ' %')
            and periods.valid_from_on >= definitions.effective_from
    qualify rank() over (
        partition by
            periods.profile_id, periods.valid_from_on, measures.measure,
            definitions.part, definitions.subject
        order by definitions.effective_from desc
    ) = 1
),

defined as (
    select
        profile_id,
        valid_from_on,
        measure,
        {{ sorted_text('setting') }} as definition
    from settings_in_force
    group by profile_id, valid_from_on, measure
),

final as (
    select
        measures_in_force.policy_set,
        measures_in_force.profile_id,
        measures_in_force.valid_from_on,
        measures_in_force.valid_to_on,
        measures_in_force.measure,
        measures_in_force.line_profile_id,
        measures_in_force.line_effective_from,
        measures_in_force.method,
        measures_in_force.force_scope,
        defined.definition,
        measures.measure_order,
        coalesce(measures_in_force.component, measures.component) as component,
        coalesce(component_weights_in_force.weight, 0.0) as component_weight,
        measures_in_force.weight as measure_weight,
        measures_in_force.floor_value,
        measures_in_force.ceiling_value,
        measures_in_force.expiry_days,
        measures_in_force.min_tenure_days,
        measures_in_force.force_at_or_below,
        measures_in_force.force_to
    from measures_in_force
    inner join measures on measures_in_force.measure = measures.measure
    left join component_weights_in_force
        on
            measures_in_force.profile_id = component_weights_in_force.profile_id
            and measures_in_force.valid_from_on = component_weights_in_force.valid_from_on
            and coalesce(measures_in_force.component, measures.component)
            = component_weights_in_force.component
    left join defined
        on
            measures_in_force.profile_id = defined.profile_id
            and measures_in_force.valid_from_on = defined.valid_from_on
            and measures_in_force.measure = defined.measure
    where measures_in_force.weight is not null
)

select * from final
