"""Client addresses as keys of limits. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network


def client_key(address: str) -> str:
    """What one client is limited by: an IPv4 address, or the /64 of an IPv6 one, which one customer has all of.

    An IPv4 client of a socket that takes both kinds comes as ``::ffff:a.b.c.d``; what is no address is its own key.
    """
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))
