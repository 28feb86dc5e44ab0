"""Any section of ``params.yaml`` with every key optional: what a run, a trial or a device changes of it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from stillhouse.params.section import Section


def optional(model: type[BaseModel], without: tuple[str, ...] = (), prefix: str = "") -> Any:
    """``model`` with every field optional and empty by default, its types, limits and descriptions kept.

    Fields named in ``without`` (dotted keys, of the top model) are left out, and refused as unknown.
    """
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind, key = field.annotation, f"{prefix}{field.alias or name}"
        if key in without:
            continue
        if isinstance(kind, type) and issubclass(kind, Section):  # a section of the form, empty until filled in
            inner = optional(kind, without, f"{key}.")
            fields[name] = (inner, Field(default_factory=inner, alias=field.alias, description=kind.__doc__))
            continue
        annotation: Any = kind
        for limit in field.metadata:
            annotation = Annotated[annotation, limit]
        fields[name] = (annotation | None, Field(None, alias=field.alias, description=field.description))
    return create_model(model.__name__, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def applied(section: Section, changes: BaseModel) -> dict[str, Any]:
    """The content of ``section`` with what was set in ``changes``, a model made by :func:`optional` of it.

    A section is followed into; everything else is one value, also where it is a table.
    """
    content = section.model_dump(by_alias=True)
    for name in changes.model_fields_set:
        value, key = getattr(changes, name), type(changes).model_fields[name].alias or name
        if isinstance(value, BaseModel) and not isinstance(value, Section):
            content[key] = applied(getattr(section, name), value)
        else:
            content[key] = changes.model_dump(by_alias=True)[key]
    return content
