"""Names of the first edition that a learner still answers to, for one version."""

from __future__ import annotations

from onecycle.deprecation import renamed_property


class DeprecatedNames:
    """The old names, each with a warning that says the new one."""

    findings = renamed_property("findings", "lr_finder_results")
    frozen_rate = renamed_property("frozen_rate", "frozen_lr")
    pieces = renamed_property("pieces", "num_microbatches")
    averaged = renamed_property("averaged", "averaged_weights")
