"""Page: what the pages of all lists have in common."""

from typing import Any

from .base import Many, Model, Value, optional


class Page(Model):
    """One page of a list, and the tokens that lead to others."""

    items: Many[Any] = optional("The objects on this page.")
    item_count: Value[int] = optional("How many objects are on this page.")
    first_page_token: Value[str] = optional("Token of the first page.")
    next_page_token: Value[str] = optional("Token of the next page; not set on the last one.")
    prev_page_token: Value[str] = optional("Token of the page before; not set on the first one.")
    last_page_token: Value[str] = optional("Token of the last page.")
    total_item_count: Value[int] = optional("How many objects there are on all pages.")
    total_page_count: Value[int] = optional("How many pages there are.")

    def _repr_html_(self) -> str:
        from .._display import page

        return page(repr(self), self.items or ())
