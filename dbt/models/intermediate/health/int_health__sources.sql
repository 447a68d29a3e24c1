-- Grain: one row; first and last extract of each source table, null when it never gave a row.
-- Without it a count of nothing could not be told from no count.
{%- set tables = ['touchpoints', 'outreach', 'tickets', 'feature_usage', 'invoices'] %}
with

files as (
    select * from {{ source('pipeline', 'files') }}
    where status = 'accepted' and extracted_on <= {{ as_of_date() }}
),

covered as (
    select
        table_name,
        min(extracted_on) as covered_from_on,
        max(extracted_on) as covered_until_on
    from files
    group by table_name
    having sum(accepted_count) > 0
),

final as (
    select
        {%- for table in tables %}
        max(case when table_name = '{{ table }}' then covered_from_on end) as {{ table }}_from_on,
        max(case when table_name = '{{ table }}' then covered_until_on end)
            as {{ table }}_until_on{{ ',' if not loop.last }}
        {%- endfor %}
    from covered
)

select * from final
