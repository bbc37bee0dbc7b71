from typing import Any

from .base import Many, Model, Value, optional


class Page(Model):
    """One page of a list, and the tokens of other pages."""

    items: Many[Any] = optional("The objects on this page.")
    item_count: Value[int] = optional("Number of objects on this page.")
    first_page_token: Value[str] = optional("Token of the first page.")
    next_page_token: Value[str] = optional("Token of the next page; unset on the last page.")
    prev_page_token: Value[str] = optional("Token of the previous page; unset on the first page.")
    last_page_token: Value[str] = optional("Token of the last page.")
    total_item_count: Value[int] = optional("Number of objects on all pages.")
    total_page_count: Value[int] = optional("Number of pages.")
