from .base import Model, Value, optional


class InputMountMappingWithCreds(Model):
    """A file, folder or manifest to stage in before a run."""

    storage_provider: Value[str] = optional("`aws` for `s3://`; none for `gds://`.")
    credentials: Value[dict[str, str]] = optional("Its keys: `AWS_ACCESS_KEY_ID`, ...")
    path: Value[str] = optional("Path in the container.")
    url: Value[str] = optional("Its source: `gds://`, `s3://` or `https://`.")
    urn: Value[str] = optional("Resource name, in place of `url`.")
    mode: Value[str] = optional("`download`, or `stream` while it runs.")
    type: Value[str] = optional("`File` (default), `Folder` or `manifest`.")
