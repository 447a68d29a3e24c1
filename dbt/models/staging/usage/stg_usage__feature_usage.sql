-- Grain: account_id, solution_area, user_id, feature, used_on, event_id.
with

accepted as (
    select * from {{ source('raw_usage', 'feature_usage') }}
),

final as (
    select
        account_id,
        solution_area,
        user_id,
        feature,
        used_on,
        usage_count,
        event_id,
        _extracted_on as first_extracted_on
    from accepted
    where
        _extracted_on <= {{ as_of_date() }}
        and used_on <= {{ as_of_date() }}
)

select * from final
