"""The HTTP side of the service: routes, request bodies, paging, authentication, operations."""
