from .base import Model, Value, optional


class SystemFiles(Model):
    """Where the service stores the logs and other files of a run."""

    url: Value[str] = optional("Folder, such as `gds://volume/logs`.")
    urn: Value[str] = optional("Resource name, in place of `url`.")
    storage_provider: Value[str] = optional("`aws` for `s3://`; none for `gds://`.")
    credentials: Value[dict[str, str]] = optional("Its keys: `AWS_ACCESS_KEY_ID`, ...")
