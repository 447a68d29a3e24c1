"""Is the configuration whole? Rules, policy, templates, source mapping: every fault at once."""

from __future__ import annotations

from dagster_project.contracts import Vocabulary
from dagster_project.errors import ConfigError, Fault
from dagster_project.infohub.specimen import check_templates
from dagster_project.ingestion import load_mapping
from dagster_project.playbooks import call_type_faults, load_rules
from dagster_project.policy import (
    check_policy,
    load_policy,
    read_gauges,
    require_policy_set,
    vocabulary,
)
from dagster_project.settings import Settings


def check_configuration(settings: Settings) -> str:
    """Check everything a run relies on besides the data; what was found, in one line.

    Raises:
        ConfigError: with every fault of seeds, rules, templates and source mapping.
    """
    faults: list[Fault] = list(check_policy(settings.seeds))
    rule_count = 0
    try:
        rules = load_rules(settings.rules, read_gauges(settings.seeds))
        rule_count = len(rules.rules)
    except ConfigError as error:
        faults += error.faults
    mapping_text = "no source mapping"
    if not faults:
        calls = load_policy(settings.seeds).rows("infohub_calls")
        faults += check_templates(settings.templates, [str(call["template"]) for call in calls])
        lists = vocabulary(settings.seeds)
        faults += call_type_faults(settings.rules, rules, lists.call_types)
    if not faults:
        try:
            mapping = load_mapping(
                settings.sources,
                settings.landing,
                Vocabulary(lists.tiers, lists.solution_areas, lists.call_types),
            )
            mapping_text = f"source mapping {mapping.name}" if mapping else mapping_text
        except ConfigError as error:
            if not error.faults:
                raise
            faults += error.faults
        if not faults:
            require_policy_set(settings.seeds, settings.policy_set)
    if faults:
        raise ConfigError(f"the configuration has {len(faults)} fault(s)", faults)
    return (
        f"configuration is whole: policy seeds, health policy {settings.policy_set}, "
        f"{rule_count} rules, {mapping_text}"
    )
