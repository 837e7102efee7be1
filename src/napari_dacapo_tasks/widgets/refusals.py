"""What a form refuses, said outside of it."""

from __future__ import annotations

from napari_dacapo_tasks.widgets.form import ConfigForm


def first_refusal(form: ConfigForm) -> str:
    """Say in one sentence what is refused first; empty where nothing is."""
    for name, reason in form.refusals.items():
        title = form.model_type.model_fields[name].title if name else ""
        # What a bound says has no subject, what a rule says is a sentence already.
        sentence = f"{title} {reason}" if reason.startswith("must ") else reason
        return f"{sentence.rstrip('.')}."
    return ""
