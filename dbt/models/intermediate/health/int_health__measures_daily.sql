-- Grain: account_id, as_of_date; per measure its value, the day it was observed and whether it
-- applies. A null value is silence, never zero; a zero is a count that was taken.
{{ config(materialized='view') }}
-- depends_on: {{ ref('health_definitions') }}
-- depends_on: {{ ref('health_renewal_expectations') }}
-- depends_on: {{ ref('health_measure_policy') }}
-- depends_on: {{ ref('health_measures') }}
-- depends_on: {{ ref('int_health__gauge_spans') }}
-- depends_on: {{ ref('stages') }}
{%- set renewal_window = health_definition_on('renewal_window_days', 'as_of_date') %}
{%- set stage_grace = health_definition_on('stage_grace_days', 'as_of_date') %}
{%- set measures = health_measures() %}
{%- set gauges = measures | selectattr('source', 'equalto', 'gauge') | list %}
with

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        segment,
        tenure_days,
        arr_usd,
        seats_licensed,
        days_to_renewal,
        customer_since_on,
        cast(date_trunc('month', as_of_date) as date) as month_on
    from {{ ref('int_core__account_days') }}
),

sources as (
    select * from {{ ref('int_health__sources') }}
),

month_days as (
    {{ day_spine('cast(date_trunc(\'month\', ' ~ from_date() ~ ') as date)', as_of_date()) }}
),

months as (
    select
        as_of_date as month_on,
        cast(date_trunc('month', as_of_date + 31) as date) as next_month_on
    from month_days
    where as_of_date = cast(date_trunc('month', as_of_date) as date)
),

engagement as (
    {{ health_spans_by_month(ref('int_health__engagement_spans')) }}
),

outcomes as (
    {{ health_spans_by_month(ref('int_health__outcome_spans')) }}
),

support as (
    {{ health_spans_by_month(ref('int_health__support_spans')) }}
),

relationship as (
    {{ health_spans_by_month(ref('int_health__relationship_spans')) }}
),

commercial as (
    {{ health_spans_by_month(ref('int_health__commercial_spans')) }}
),

{%- if gauges %}

gauges as (
    {{ health_spans_by_month(ref('int_health__gauge_spans')) }}
),
{%- endif %}

cadence as (
    select * from {{ ref('int_cadence__tier_adherence_daily') }}
),

usage as (
    select * from {{ ref('int_usage__account_daily') }}
),

stage_inputs as (
    select * from {{ ref('int_health__stage_inputs') }}
),

area_stages as (
    select
        account_id,
        as_of_date,
        stage_rank,
        {{ days_between('go_live_on', 'as_of_date') }} as days_since_go_live
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

stage_gaps as (
    select
        account_id,
        as_of_date,
        sum(
            stage_rank
            - case
                {%- for stage in health_query(
                    'select stage_rank, typical_to_days from ' ~ health_seed('stages')
                    ~ ' where stage_rank > 0 and typical_to_days is not null'
                    ~ ' order by stage_rank desc'
                ) %}
                when days_since_go_live >= {{ stage.typical_to_days }} then {{ stage.stage_rank }}
                {%- endfor %}
                when true then 0
            end
        ) as stage_gap_sum,
        count(*) as area_count
    from area_stages
    where days_since_go_live >= {{ stage_grace }}
    group by account_id, as_of_date
),

joined as (
    select
        account_days.*,
        sources.touchpoints_until_on,
        sources.outreach_until_on,
        sources.tickets_until_on,
        sources.feature_usage_until_on,
        sources.invoices_until_on,
        cadence.cadence_adherence_ratio,
        cadence.consecutive_missed_count,
        cadence.last_held_on,
        cadence.executive_review_expected_count,
        cadence.executive_review_held_with_executive_count,
        -- Before the first extract, an account that was never seen may only not have been told of.
        {%- for column in ('active_users_28d', 'active_days_28d', 'features_used_28d') %}
        case
            when
                usage.first_used_on is null
                and account_days.as_of_date >= sources.feature_usage_from_on then 0
            else usage.{{ column }}
        end as {{ column }},
        {%- endfor %}
        usage.usage_count_28d,
        usage.usage_count_prev_28d,
        stage_inputs.first_told_on <= account_days.as_of_date as has_stage_inputs,
        stage_gaps.stage_gap_sum,
        stage_gaps.area_count,
        engagement.executive_call_count,
        engagement.sentiment_micro,
        engagement.sentiment_count,
        engagement.last_sentiment_micro,
        engagement.last_sentiment_count,
        engagement.last_sentiment_day,
        engagement.outreach_decided_count,
        engagement.outreach_answered_count,
        outcomes.objective_count,
        outcomes.objective_decided_count,
        outcomes.objective_met_count,
        outcomes.progress_nano + outcomes.late_progress_nano as progress_nano,
        outcomes.slope_nano * {{ health_day_number('account_days.as_of_date') }}
        - outcomes.slope_start_nano
        + 1000000000 * outcomes.objective_overdue_count as expected_progress_nano,
        outcomes.realised_cents,
        outcomes.planned_cents,
        outcomes.last_measured_day,
        support.ticket_opened_count,
        support.resolution_ratio_micro,
        support.ticket_resolved_count,
        support.ticket_closed_count,
        support.ticket_reopened_count,
        support.oldest_escalation_day,
        support.has_escalation,
        support.csat_micro,
        support.csat_count,
        support.last_csat_micro,
        support.last_csat_count,
        support.last_csat_day,
        support.nps_micro,
        support.nps_count,
        support.last_nps_micro,
        support.last_nps_count,
        support.last_nps_day,
        relationship.contacts_known,
        relationship.active_role_count,
        relationship.champion_role_count,
        relationship.sponsor_role_count,
        relationship.last_pulse_score,
        relationship.last_pulse_day,
        relationship.has_pulse,
        commercial.invoice_count,
        commercial.oldest_due_day,
        commercial.has_overdue,
        commercial.subscription_count,
        commercial.renewed_cents,
        commercial.before_cents,
        commercial.last_renewal_day,
        commercial.opportunities_known,
        commercial.renewal_probability_micro + commercial.closed_probability_micro
            as renewal_probability_micro,
        commercial.renewal_opportunity_count + commercial.closed_renewal_count
            as renewal_opportunity_count,
        commercial.expansion_cents,
        {%- for gauge in gauges %}
        gauges.{{ gauge.measure }}_micro,
        gauges.{{ gauge.measure }}_day,
        gauges.has_{{ gauge.measure }},
        {%- endfor %}
        {{ health_day_number('account_days.as_of_date') }} as day_number
    from account_days
    cross join sources
    left join cadence
        on
            account_days.account_id = cadence.account_id
            and account_days.as_of_date = cadence.as_of_date
    left join usage
        on
            account_days.account_id = usage.account_id
            and account_days.as_of_date = usage.as_of_date
    left join stage_inputs on account_days.account_id = stage_inputs.account_id
    left join stage_gaps
        on
            account_days.account_id = stage_gaps.account_id
            and account_days.as_of_date = stage_gaps.as_of_date
    {%- for spans in ['engagement', 'outcomes', 'support', 'relationship', 'commercial']
        + (['gauges'] if gauges else []) %}
    left join {{ spans }}
        on
            account_days.account_id = {{ spans }}.account_id
            and account_days.month_on = {{ spans }}.month_on
            and account_days.as_of_date >= {{ spans }}.valid_from_on
            and account_days.as_of_date < {{ spans }}.valid_to_on
    {%- endfor %}
),

measured as (
    select
        account_id,
        as_of_date,
        tier,
        segment,
        tenure_days,

        -- engagement
        case when touchpoints_until_on is not null then cadence_adherence_ratio end
            as cadence_adherence_ratio_value,
        least(as_of_date, touchpoints_until_on) as cadence_adherence_ratio_observed_on,
        true as cadence_adherence_ratio_is_applicable,

        case
            when touchpoints_until_on is not null
                then {{ days_between('coalesce(last_held_on, customer_since_on)', 'as_of_date') }}
        end as days_since_last_call_value,
        least(as_of_date, touchpoints_until_on) as days_since_last_call_observed_on,
        true as days_since_last_call_is_applicable,

        case
            when touchpoints_until_on is not null
                then
                    cast(executive_review_held_with_executive_count as double)
                    / nullif(executive_review_expected_count, 0)
        end as executive_participation_ratio_value,
        least(as_of_date, touchpoints_until_on) as executive_participation_ratio_observed_on,
        touchpoints_until_on is null or coalesce(executive_review_expected_count, 0) > 0
            as executive_participation_ratio_is_applicable,

        case
            when outreach_until_on is not null
                then cast(outreach_answered_count as double) / nullif(outreach_decided_count, 0)
        end as response_ratio_value,
        least(as_of_date, outreach_until_on) as response_ratio_observed_on,
        outreach_until_on is null or coalesce(outreach_decided_count, 0) > 0
            as response_ratio_is_applicable,

        case when touchpoints_until_on is not null then consecutive_missed_count end
            as consecutive_missed_calls_value,
        least(as_of_date, touchpoints_until_on) as consecutive_missed_calls_observed_on,
        true as consecutive_missed_calls_is_applicable,

        -- adoption
        case
            when feature_usage_until_on is not null
                then cast(active_users_28d as double) / nullif(seats_licensed, 0)
        end as active_user_ratio_value,
        least(as_of_date, feature_usage_until_on) as active_user_ratio_observed_on,
        coalesce(seats_licensed, 1) > 0 as active_user_ratio_is_applicable,

        case when feature_usage_until_on is not null then active_days_28d end as active_days_value,
        least(as_of_date, feature_usage_until_on) as active_days_observed_on,
        true as active_days_is_applicable,

        case when feature_usage_until_on is not null then features_used_28d end
            as feature_breadth_value,
        least(as_of_date, feature_usage_until_on) as feature_breadth_observed_on,
        true as feature_breadth_is_applicable,

        case
            when feature_usage_until_on is not null
                then cast(usage_count_28d as double) / nullif(usage_count_prev_28d, 0)
        end as usage_trend_ratio_value,
        least(as_of_date, feature_usage_until_on) as usage_trend_ratio_observed_on,
        feature_usage_until_on is null or coalesce(usage_count_prev_28d, 0) > 0
            as usage_trend_ratio_is_applicable,

        case
            when has_stage_inputs then cast(stage_gap_sum as double) / nullif(area_count, 0)
        end as stage_vs_tenure_value,
        as_of_date as stage_vs_tenure_observed_on,
        not coalesce(has_stage_inputs, false) or coalesce(area_count, 0) > 0
            as stage_vs_tenure_is_applicable,

        -- outcomes
        cast(objective_met_count as double) / nullif(objective_decided_count, 0)
            as objectives_met_ratio_value,
        as_of_date as objectives_met_ratio_observed_on,
        coalesce(objective_count, 0) = 0 or objective_decided_count > 0
            as objectives_met_ratio_is_applicable,

        cast(progress_nano as double) / nullif(expected_progress_nano, 0)
            as objective_progress_ratio_value,
        cast('1970-01-01' as date) + cast(last_measured_day as integer)
            as objective_progress_ratio_observed_on,
        true as objective_progress_ratio_is_applicable,

        cast(realised_cents as double) / nullif(planned_cents, 0) as value_realised_ratio_value,
        cast('1970-01-01' as date) + cast(last_measured_day as integer)
            as value_realised_ratio_observed_on,
        true as value_realised_ratio_is_applicable,

        -- support
        case
            when tickets_until_on is not null
                then
                    cast(coalesce(ticket_opened_count, 0) as double) / nullif(seats_licensed, 0)
        end as tickets_per_seat_value,
        least(as_of_date, tickets_until_on) as tickets_per_seat_observed_on,
        coalesce(seats_licensed, 1) > 0 as tickets_per_seat_is_applicable,

        case
            when tickets_until_on is not null
                then
                    cast(resolution_ratio_micro as double) / 1000000
                    / nullif(ticket_resolved_count, 0)
        end as resolution_vs_target_ratio_value,
        least(as_of_date, tickets_until_on) as resolution_vs_target_ratio_observed_on,
        tickets_until_on is null or coalesce(ticket_resolved_count, 0) > 0
            as resolution_vs_target_ratio_is_applicable,

        case
            when tickets_until_on is null then null
            when has_escalation > 0 then day_number - oldest_escalation_day
            else 0
        end as open_escalation_age_days_value,
        least(as_of_date, tickets_until_on) as open_escalation_age_days_observed_on,
        true as open_escalation_age_days_is_applicable,

        case
            when tickets_until_on is not null
                then cast(ticket_reopened_count as double) / nullif(ticket_closed_count, 0)
        end as reopen_ratio_value,
        least(as_of_date, tickets_until_on) as reopen_ratio_observed_on,
        tickets_until_on is null or coalesce(ticket_closed_count, 0) > 0
            as reopen_ratio_is_applicable,

        coalesce(
            cast(csat_micro as double) / 1000000 / nullif(csat_count, 0),
            cast(last_csat_micro as double) / 1000000 / nullif(last_csat_count, 0)
        ) as csat_score_value,
        cast('1970-01-01' as date) + cast(last_csat_day as integer) as csat_score_observed_on,
        true as csat_score_is_applicable,

        -- relationship
        case when contacts_known > 0 then case when champion_role_count > 0 then 1 else 0 end end
            as champion_present_value,
        as_of_date as champion_present_observed_on,
        true as champion_present_is_applicable,

        case
            when coalesce(contacts_known, 0) = 0 then null
            when sponsor_role_count > 0
                then case when executive_call_count > 0 then 1.0 else 0.5 end
            else 0.0
        end as sponsor_engaged_value,
        as_of_date as sponsor_engaged_observed_on,
        true as sponsor_engaged_is_applicable,

        case when contacts_known > 0 then active_role_count end as active_roles_count_value,
        as_of_date as active_roles_count_observed_on,
        true as active_roles_count_is_applicable,

        coalesce(
            cast(sentiment_micro as double) / 1000000 / nullif(sentiment_count, 0),
            cast(last_sentiment_micro as double) / 1000000 / nullif(last_sentiment_count, 0)
        ) as sentiment_score_value,
        cast('1970-01-01' as date) + cast(last_sentiment_day as integer)
            as sentiment_score_observed_on,
        true as sentiment_score_is_applicable,

        case when has_pulse > 0 then last_pulse_score end as csm_pulse_value,
        cast('1970-01-01' as date) + cast(last_pulse_day as integer) as csm_pulse_observed_on,
        true as csm_pulse_is_applicable,

        coalesce(
            cast(nps_micro as double) / 1000000 / nullif(nps_count, 0),
            cast(last_nps_micro as double) / 1000000 / nullif(last_nps_count, 0)
        ) as nps_score_value,
        cast('1970-01-01' as date) + cast(last_nps_day as integer) as nps_score_observed_on,
        true as nps_score_is_applicable,

        -- commercial
        case
            when coalesce(invoice_count, 0) = 0 then null
            when has_overdue > 0 then day_number - oldest_due_day
            else 0
        end as invoice_overdue_days_value,
        least(as_of_date, invoices_until_on) as invoice_overdue_days_observed_on,
        true as invoice_overdue_days_is_applicable,

        cast(renewed_cents - before_cents as double) / nullif(before_cents, 0)
            as renewal_arr_change_ratio_value,
        cast('1970-01-01' as date) + cast(last_renewal_day as integer)
            as renewal_arr_change_ratio_observed_on,
        coalesce(subscription_count, 0) = 0 or before_cents > 0
            as renewal_arr_change_ratio_is_applicable,

        cast(renewal_probability_micro as double) / 1000000
        / nullif(renewal_opportunity_count, 0)
        / {{ health_renewal_expectation('days_to_renewal', 'as_of_date') | indent(8) }}
            as renewal_outlook_value,
        as_of_date as renewal_outlook_observed_on,
        coalesce(opportunities_known, 0) = 0
        or coalesce(days_to_renewal <= {{ renewal_window }}, false)
            as renewal_outlook_is_applicable,

        case
            when opportunities_known > 0
                then cast(expansion_cents as double) / nullif(cast(arr_usd * 100 as double), 0.0)
        end as expansion_pipeline_ratio_value,
        as_of_date as expansion_pipeline_ratio_observed_on,
        true as expansion_pipeline_ratio_is_applicable,

        -- what only some policy sets ask for
        case when tickets_until_on is not null then coalesce(ticket_opened_count, 0) end
            as tickets_opened_count_value,
        least(as_of_date, tickets_until_on) as tickets_opened_count_observed_on,
        true as tickets_opened_count_is_applicable,

        tenure_days as account_tenure_days_value,
        as_of_date as account_tenure_days_observed_on,
        true as account_tenure_days_is_applicable,

        days_to_renewal as days_to_licence_end_value,
        as_of_date as days_to_licence_end_observed_on,
        true as days_to_licence_end_is_applicable
        {%- for gauge in gauges %},

        case
            when has_{{ gauge.measure }} > 0
                then cast({{ gauge.measure }}_micro as double) / 1000000
        end as {{ gauge.measure }}_value,
        cast('1970-01-01' as date) + cast({{ gauge.measure }}_day as integer)
            as {{ gauge.measure }}_observed_on,
        true as {{ gauge.measure }}_is_applicable
        {%- endfor %}
    from joined
),

-- Only what the policy set asks for; a measure it names that is not computed above fails here.
final as (
    select
        account_id,
        as_of_date,
        tier,
        segment,
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        cast({{ name }}_value as double) as {{ name }}_value,
        {{ name }}_observed_on,
        {{ name }}_is_applicable,
        {%- endfor %}
        tenure_days
    from measured
)

select * from final
