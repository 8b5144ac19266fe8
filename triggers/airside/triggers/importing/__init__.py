"""Automations of Prefect, translated into ours. Pure: a JSON value in, automations and a report out.

What has no counterpart is never dropped silently: the report lists it, and the YAML that is written keeps the original
in a comment. `docs/importing-automations.md` has the mapping and every difference.
"""

from airside.triggers.importing.automations import Imported, NotImportable, import_automations
from airside.triggers.importing.report import Note
from airside.triggers.importing.writing import to_yaml

__all__ = ["Imported", "NotImportable", "Note", "import_automations", "to_yaml"]
