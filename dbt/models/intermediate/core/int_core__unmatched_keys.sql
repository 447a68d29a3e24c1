-- Grain: source_table, account_id; rows whose account no account extract has named.
{%- set tables = [
    ('crm', 'contacts'), ('crm', 'subscriptions'), ('crm', 'opportunities'),
    ('crm', 'touchpoints'), ('crm', 'outreach'), ('crm', 'success_objectives'),
    ('crm', 'stage_evidence'), ('crm', 'adoption_blockers'), ('crm', 'invoices'),
    ('crm', 'risk_flags'), ('crm', 'health_overrides'),
    ('usage', 'feature_usage'), ('usage', 'solution_measures'),
    ('support', 'tickets'), ('support', 'surveys'),
] %}
with

accounts as (
    select account_id from {{ ref('stg_crm__accounts') }}
),

keys as (
    {% for source, table in tables %}
        select
            'raw_{{ source }}.{{ table }}' as source_table,
            account_id,
            count(*) as row_count,
            min(first_extracted_on) as first_seen_on
        from {{ ref('stg_' ~ source ~ '__' ~ table) }}
        group by account_id
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
),

final as (
    select
        keys.source_table,
        keys.account_id,
        cast(keys.row_count as bigint) as row_count,
        keys.first_seen_on
    from keys
    left join accounts on keys.account_id = accounts.account_id
    where accounts.account_id is null
)

select * from final
