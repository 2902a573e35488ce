"""Models and versions by the names that requests give; what is not there is told in MLflow's words, then in ours."""

from registry import versions
from registry.api.mlflow.fields import Fields
from registry.models import RegisteredModel, Registration
from registry.refusals import Unknown


def model(fields: Fields) -> RegisteredModel:
    """Return the model that a request names."""
    name = fields.required("name")
    try:
        return versions.model_named(name)
    except Unknown as unknown:
        raise Unknown(f"Registered Model with name={name} not found. {unknown.detail}") from unknown


def version(fields: Fields) -> Registration:
    """Return the number of a model that a request names, pinned or not."""
    named, number = model(fields), fields.number("version")
    try:
        return versions.registration_of(named.name, number)
    except Unknown as unknown:
        raise Unknown(f"Model Version (name={named.name}, version={number}) not found. {unknown.detail}") from unknown
