"""Addresses without what they may hold of users and passwords."""

from __future__ import annotations

import re


def scrub(text: str) -> str:
    """`text` without the user and password of any address in it, even where they were not quoted well."""
    return re.sub(r"://[^\s'\"]*@", "://", text)


def storable(uri: str) -> str:
    """`uri` as specs and configs keep it: whole, unless it holds a user, a password or a key."""
    if uri.startswith("sqlite"):
        return uri
    address, mark, query = scrub(uri).partition("?")
    return address if re.search("pass|pw|token|secret|key", query, re.IGNORECASE) else address + mark + query
