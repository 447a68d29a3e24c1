-- Grain: account_id, call_type, slot_number; slots of the tier's own rhythm, whatever the zone.
{{ daily_config() }}

{{ cadence_slots(ref('int_cadence__tier_rate_changes')) }}

{{ cadence_matches() }},

{{ cadence_slot_statuses() }}

select * from final
