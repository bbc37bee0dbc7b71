from .base import Model, Value, optional


class MountMappingWithCreds(Model):
    """A file or folder to stage out after a run."""

    path: Value[str] = optional("Path in the container.")
    url: Value[str] = optional("Where to store it: `gds://` or `s3://`.")
    urn: Value[str] = optional("Resource name, in place of `url`.")
    type: Value[str] = optional("`File` or `Folder`.")
    storage_provider: Value[str] = optional("`aws` for `s3://`; none for `gds://`.")
    credentials: Value[dict[str, str]] = optional("Its keys: `AWS_ACCESS_KEY_ID`, ...")
    service_url: Value[str] = optional("Address of the storage service.")
