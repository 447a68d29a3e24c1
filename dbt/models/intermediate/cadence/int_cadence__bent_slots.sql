-- Grain: account_id, call_type, slot_number; slots of the rate in force, bent by zone and risk.
{{ daily_config() }}

{{ cadence_slots(ref('int_cadence__bent_rate_changes')) }}

{{ cadence_matches() }},

{{ cadence_slot_statuses() }}

select * from final
