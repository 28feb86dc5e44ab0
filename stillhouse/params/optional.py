"""Sections of ``params.yaml`` with every key optional, for the changes of a run, a trial or a device."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, create_model, model_serializer

from stillhouse.params.section import Section


class Changes(BaseModel):
    """The base of models that :func:`optional` makes. What is not set is not in the content either."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_serializer(mode="wrap")
    def _content(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        present = self.model_fields_set | {fields[name].alias for name in self.model_fields_set}
        return {key: value for key, value in handler(self).items() if key in present}


def optional(model: type[BaseModel], without: tuple[str, ...] = (), prefix: str = "", name: str = "") -> Any:
    """A copy of ``model`` whose fields are all optional and None by default. Types, limits and descriptions stay.

    Args:
        model: a section or all parameters.
        without: dotted keys of fields that are left out; they are refused as unknown.
        prefix: of the dotted keys in this model.
        name: of the copy; empty: that of ``model``.
    """
    fields: dict[str, Any] = {}
    for own, field in model.model_fields.items():
        kind, key = field.annotation, f"{prefix}{field.alias or own}"
        if key in without:
            continue
        if isinstance(kind, type) and issubclass(kind, Section):  # a section of Prefect's run form
            inner = optional(kind, without, f"{key}.")
            fields[own] = (inner, Field(default_factory=inner, alias=field.alias, description=kind.__doc__))
            continue
        annotation: Any = kind
        for limit in field.metadata:
            annotation = Annotated[annotation, limit]
        fields[own] = (annotation | None, Field(None, alias=field.alias, description=field.description))
    return create_model(name or model.__name__, __base__=Changes, **fields)


def applied(section: Section, changes: BaseModel) -> dict[str, Any]:
    """The content of ``section`` with the ``changes``, a model that :func:`optional` made of it.

    Changes of a subsection are applied key by key. Any other value replaces the old one as a whole, also a mapping.
    """
    content = section.model_dump(by_alias=True)
    for name in changes.model_fields_set:
        value, key = getattr(changes, name), type(changes).model_fields[name].alias or name
        if isinstance(value, BaseModel) and not isinstance(value, Section):
            content[key] = applied(getattr(section, name), value)
        else:
            content[key] = changes.model_dump(by_alias=True)[key]
    return content
