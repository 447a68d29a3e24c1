-- Grain: invoice_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'invoices'), 'invoice_id') }}
),

final as (
    select
        invoice_id,
        account_id,
        issued_on,
        due_on,
        paid_on,
        amount_usd,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
