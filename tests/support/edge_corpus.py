r"""Messages that an edge must refuse, and unusual ones that it must accept, with where each is known from.

Sources: http-garden's list of bugs found (github.com/narfindustries/http-garden, TROPHIES.md), advisories of
aiohttp (CVE-2023-47627, CVE-2023-49081, CVE-2024-23829), gunicorn (CVE-2024-1135), tornado (GHSA-qppv-j76h-2rpx,
GHSA-753j-mpmx-qq6g), h11 (CVE-2025-43859), waitress (CVE-2022-24761), Go (CVE-2023-39326), Kestrel (CVE-2025-55315),
and the RFCs' own MUSTs.
"""

from __future__ import annotations

from typing import NamedTuple

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""Follows most malformed messages: it must never reach the application."""


class Message(NamedTuple):
    """Bytes to send and the status they must get; what is refused also ends the connection."""

    name: str
    raw: bytes
    status: int


class Accepted(NamedTuple):
    """Bytes of one request, and what the application must see of it."""

    name: str
    raw: bytes
    method: str = "GET"
    raw_path: str = "/x"
    body: str = ""
    closes: bool = False
    host: str | None = "a"


def _get(*lines: bytes, target: bytes = b"/x") -> bytes:
    return b"\r\n".join((b"GET %b HTTP/1.1" % target, *lines, b"", b""))


def _post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join((b"POST /x HTTP/%b" % version, b"Host: a", *lines, b"", body))


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", body=body)


_HOSTS = {
    "no_host": b"X: y",
    "empty_host": b"Host:",
    "two_hosts": b"Host: a\r\nHost: a",
    "two_hosts_apart": b"Host: a\r\nX: y\r\nHOST: b",
    "host_list": b"Host: a, b",
    "host_with_path": b"Host: a/b",
    "host_with_user": b"Host: u@a",
    "host_with_space": b"Host: a b",
    "host_with_scheme": b"Host: http://a",
    "host_with_query": b"Host: a?b",
    "host_with_backslash": b"Host: a\\b",
    "host_with_bad_port": b"Host: a:b",
    "host_with_huge_port": b"Host: a:65536",
    "host_with_empty_port": b"Host: a:",
    "host_with_signed_port": b"Host: a:+80",
    "host_with_escape": b"Host: a%2fb",
    "host_not_ascii": b"Host: \xffa\xff",
    "host_with_nul": b"Host: google.com\x00.example.org",
    "host_bad_ipv6": b"Host: [::1::2]",
    "host_open_ipv6": b"Host: [::1",
    "host_with_dot_first": b"Host: .a",
    "host_with_quote": b"Host: a'",
}

_LENGTHS = {
    "cl_plus": b"Content-Length: +5",
    "cl_minus": b"Content-Length: -5",
    "cl_minus_48": b"Content-Length: -48",
    "cl_underscore": b"Content-Length: 1_0",
    "cl_leading_underscore": b"Content-Length: _5",
    "cl_plus_underscore": b"Content-Length: +1_0",
    "cl_hex": b"Content-Length: 0x5",
    "cl_hex_10": b"Content-Length: 0x10",
    "cl_octal_looking": b"Content-Length: 05",
    "cl_010": b"Content-Length: 010",
    "cl_empty": b"Content-Length:",
    "cl_blank": b"Content-Length: ",
    "cl_letters": b"Content-Length: 5Z",
    "cl_inner_space": b"Content-Length: 5 5",
    "cl_decimal": b"Content-Length: 5.0",
    "cl_exponent": b"Content-Length: 5e0",
    "cl_quoted": b'Content-Length: "5"',
    "cl_semicolon": b"Content-Length: 5;",
    "cl_list": b"Content-Length: 5, 5",
    "cl_list_differs": b"Content-Length: 5,6",
    "cl_too_many_digits": b"Content-Length: 18446744073709551621",
    "cl_19_digits": b"Content-Length: 1000000000000000000",
    "cl_fullwidth_digit": b"Content-Length: \xef\xbc\x95",
    "cl_superscript": b"Content-Length: \xb2",
    "cl_nbsp": b"Content-Length: \xa05",
    "cl_vertical_tab": b"Content-Length: \x0b5",
    "cl_form_feed": b"Content-Length: \x0c5",
    "cl_nul": b"Content-Length: 5\x00",
    "cl_twice_same": b"Content-Length: 5\r\nContent-Length: 5",
    "cl_twice": b"Content-Length: 0\r\nContent-Length: 31",
    "cl_twice_one_empty": b"Content-Length: \r\nContent-Length: 43",
    "cl_twice_other_case": b"content-length: 5\r\nCONTENT-LENGTH: 6",
    "cl_space_before_colon": b"Content-Length : 5",
    "cl_tab_before_colon": b"Content-Length\t: 5",
    "cl_nel_before_colon": b"Content-Length\x85: 10",
    "cl_without_colon": b"Content-Length 10",
    "cl_underscore_name": b"Content_Length: 5",
    "cl_and_te": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "te_and_cl": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "cl_and_empty_te": b"Content-Length: 5\r\nTransfer-Encoding:",
    "cl_and_te_list": b"Transfer-Encoding: ,chunked\r\nContent-Length: 5",
    "cl_and_te_identity": b"Transfer-Encoding: identity\r\nContent-Length: 5",
    "cl_and_split_te": b"Transfer-\r\nEncoding: chunked\r\nContent-Length: 5",
}

_CODINGS = {
    "te_empty": b"Transfer-Encoding:",
    "te_list_with_empty": b"Transfer-Encoding: ,chunked",
    "te_trailing_comma": b"Transfer-Encoding: chunked,",
    "te_chunked_twice": b"Transfer-Encoding: chunked, chunked",
    "te_two_lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "te_two_lines_identity": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "te_two_lines_cow": b"Transfer-Encoding: cow\r\nTransfer-encoding: chunked",
    "te_identity": b"Transfer-Encoding: identity",
    "te_xchunked": b"Transfer-Encoding: xchunked",
    "te_unknown": b"Transfer-Encoding: blegh",
    "te_gzip_chunked": b"Transfer-Encoding: gzip, chunked",
    "te_chunked_gzip": b"Transfer-Encoding: chunked, gzip",
    "te_parameter": b"Transfer-Encoding: chunked;q=1",
    "te_quoted": b'Transfer-Encoding: "chunked"',
    "te_single_quoted": b"Transfer-Encoding: 'chunked'",
    "te_vertical_tab": b"Transfer-Encoding: \x0bchunked",
    "te_trailing_vertical_tab": b"Transfer-Encoding: chunked\x0b",
    "te_form_feed": b"Transfer-Encoding: \x0cchunked",
    "te_nbsp": b"Transfer-Encoding: \xa0chunked\xa0",
    "te_nel": b"Transfer-Encoding: chunked\x85",
    "te_ff": b"Transfer-Encoding: \xffchunked\xff",
    "te_nul": b"Transfer-Encoding: chunked\x00",
    "te_bare_cr": b"Transfer-Encoding: \rchunked",
    "te_bare_lf": b"Transfer-Encoding:\nchunked",
    "te_folded": b"Transfer-Encoding:\r\n chunked",
    "te_folded_tab": b"Transfer-Encoding:\r\n\tchunked",
    "te_folded_after": b"Transfer-Encoding: chunked\r\n , identity",
    "te_space_before_colon": b"Transfer-Encoding : chunked",
    "te_tab_before_colon": b"Transfer-Encoding\t: chunked",
    "te_leading_space_name": b" Transfer-Encoding: chunked",
    "te_underscore_name": b"Transfer_Encoding: chunked",
    "te_hidden_behind_cr": b"X: y\rTransfer-Encoding: chunked",
    "te_hidden_behind_lf": b"X: y\nTransfer-Encoding: chunked",
    "te_without_colon": b"Transfer-Encoding chunked",
    "te_upper_unknown": b"TRANSFER-ENCODING: CHUNKED, X",
    "te_hyphenless": b"Transfer-Encoding: chun\tked",
}

_CHUNKS = {
    "chunk_size_underscore": b"0_2e\r\n\r\n",
    "chunk_size_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_minus_0x": b"-0x0\r\n\r\n",
    "chunk_size_plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_leading_space": b" 5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_many_spaces": b"           0\r\n\r\n",
    "chunk_size_trailing_space": b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk_size_trailing_tab": b"5\t\r\nhello\r\n0\r\n\r\n",
    "chunk_size_empty": b"\r\n\r\n",
    "chunk_size_word": b"INVALID!!!\r\n",
    "chunk_size_prefix_valid": b"1these-bytes\r\nZ\r\n0\r\n\r\n",
    "chunk_size_not_hex": b"Z\r\nZZ\r\nZZZ\r\n\r\n",
    "chunk_size_overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk_size_16_digits": b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk_size_bare_lf": b"5\nhello\r\n0\r\n\r\n",
    "chunk_size_bare_cr": b"5\rhello\r\n0\r\n\r\n",
    "chunk_size_cr_cr": b"5\r\rhello\r\n0\r\n\r\n",
    "chunk_size_wrong_pair": b"1\r0\n",
    "chunk_size_nul": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "chunk_size_fullwidth": b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
    "chunk_extension_cr_first": b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
    "chunk_extension_cr": b"5;a=b\r\rX\r\n0\r\n\r\n",
    "chunk_extension_bare_lf": b"5;\nhello\r\n0\r\n\r\n",  # CVE-2025-55315: "TERM.EXT"
    "chunk_extension_lf_inside": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunk_extension_bare_cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "chunk_extension_nul": b"5;\x00\r\nhello\r\n0\r\n\r\n",
    "chunk_extension_too_long": b"5;" + b"a" * 600 + b"\r\nhello\r\n0\r\n\r\n",
    "chunk_extensions_too_many": (b"1;" + b"a" * 300 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n",
    "chunk_data_too_long": b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk_data_too_short": b"6\r\nhello\r\n0\r\n\r\n",
    "chunk_data_ends_lf": b"5\r\nhello\n0\r\n\r\n",
    "chunk_data_ends_lf_10": b"a\r\n0123456789\n0\r\n\r\n",
    "chunk_data_ends_cr_x": b"5\r\nhello\rX0\r\n\r\n",
    "chunk_data_ends_xx": b"5\r\nhelloXX0\r\n\r\n",  # CVE-2025-43859
    "chunk_data_no_end": b"5\r\nhello0\r\n\r\n",
    "chunk_extra_line": b"5\r\nhello\r\n\r\n0\r\n\r\n",
    "trailer_malformed": b"0\r\nX\r\n\r\n",
    "trailer_folded": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer_bare_lf": b"0\r\nX: y\n\r\n",
    "trailer_bare_cr": b"0\r\nX: y\rz\r\n\r\n",
    "trailer_nul": b"0\r\nX: \x00\r\n\r\n",
    "trailer_space_before_colon": b"0\r\nX : y\r\n\r\n",
    "trailer_empty_name": b"0\r\n: y\r\n\r\n",
    "trailer_is_request": b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "trailers_too_large": b"0\r\n" + b"X: %b\r\n" % (b"y" * 4000) * 3 + b"\r\n",
    "end_bare_lf": b"0\r\n\n",
    "end_bare_cr": b"0\r\n\rX",
    "end_lf_lf": b"0\n\n",
}

_FIELDS = {
    "nul_in_value": b"X: a\x00b",
    "nul_and_cr_in_value": b"X: v\x00\ralue",
    "cr_in_value": b"X: va\rlue",
    "lf_in_value": b"X: va\nlue",
    "crs_in_value": b"X: this\rvalue\ris",
    "esc_in_value": b"X: \x1b[0m",
    "del_in_value": b"X: \x7f",
    "bell_in_value": b"X: \x07",
    "vertical_tab_in_value": b"X: a\x0bb",
    "cr_at_end": b"X: y\r",
    "folded": b"X: a\r\n b",
    "folded_with_tab": b"X: a\r\n\tb",
    "folded_first_line": b"\tContent-Length: 1",
    "empty_name": b": y",
    "only_colon": b":",
    "no_colon": b"X y",
    "space_before_colon": b"X : y",
    "tab_before_colon": b"X\t: y",
    "space_in_name": b"X y: z",
    "nul_in_name": b"X\x00: y",
    "lf_in_name": b"Te\nst: y",
    "high_byte_in_name": b"\xefoo: bar",
    "nel_in_name": b"Header\x85: value",
    "separators_in_name": b'X"(),/;<=>?@[/]{}: y',
    "controls_in_name": bytes(range(1, 9)) + b": y",
    "value_only_lfs": b"Useless:\n",
    "two_authorizations": b"Authorization: Bearer a\r\nAuthorization: Bearer b",
}

_REQUEST_LINES = {
    "http_09": (b"GET /", 400),
    "http_09_with_space": (b"GET / ", 400),
    "http_2": (b"GET / HTTP/2.0", 505),
    "http_12": (b"GET / HTTP/1.2", 505),
    "http_09_spelled": (b"GET / HTTP/0.9", 505),
    "http_3_short": (b"GET / HTTP/3", 400),
    "version_two_digits": (b"GET / HTTP/1.32", 400),
    "version_leading_zero": (b"GET / HTTP/01.1", 400),
    "version_long": (b"GET / HTTP/4294967295.255", 400),
    "version_lower_case": (b"GET / http/1.1", 400),
    "version_other": (b"GET / ICY/1.1", 400),
    "version_with_crs": (b"GET / HTTP/\r\r1.1", 400),
    "version_trailing_space": (b"GET / HTTP/1.1 ", 400),
    "version_trailing_tab": (b"GET / HTTP/1.1\t", 400),
    "version_trailing_cr": (b"GET / HTTP/1.1\r", 400),
    "two_spaces": (b"GET  / HTTP/1.1", 400),
    "two_spaces_later": (b"GET /  HTTP/1.1", 400),
    "tabs": (b"GET\t/\tHTTP/1.1", 400),
    "lf_as_space": (b"GET /\nHTTP/1.1", 400),
    "leading_space": (b" GET / HTTP/1.1", 400),
    "empty_target": (b"GET HTTP/1.1", 400),
    "target_with_space": (b"GET /a b HTTP/1.1", 400),
    "target_with_fragment": (b"GET /a#b HTTP/1.1", 400),
    "target_with_nul": (b"GET /a\x00b HTTP/1.1", 400),
    "target_not_ascii": (b"GET /\xc3\xa9 HTTP/1.1", 400),
    "target_with_del": (b"GET /\x7f HTTP/1.1", 400),
    "target_relative": (b"GET x HTTP/1.1", 400),
    "target_exclamation": (b"GET ! HTTP/1.1", 400),
    "target_query_only": (b"GET ?x HTTP/1.1", 400),
    "target_asterisk": (b"GET * HTTP/1.1", 400),
    "target_authority": (b"GET a:80 HTTP/1.1", 400),
    "target_ftp": (b"GET ftp://a/ HTTP/1.1", 400),
    "target_file": (b"GET file:///etc/passwd HTTP/1.1", 400),
    "target_empty_authority": (b"GET http:///x HTTP/1.1", 400),
    "target_with_user": (b"GET http://u:p@a/ HTTP/1.1", 400),
    "target_bad_port": (b"GET http://a:x/ HTTP/1.1", 400),
    "target_backslash_authority": (b"GET http://a\\b/ HTTP/1.1", 400),
    "target_one_slash": (b"GET http:/a HTTP/1.1", 400),
    "connect": (b"CONNECT a:443 HTTP/1.1", 501),
    "trace": (b"TRACE / HTTP/1.1", 501),
    "method_unknown": (b"BREW / HTTP/1.1", 501),
    "method_lower_case": (b"get / HTTP/1.1", 501),
    "method_malformed": (b'G=":<>(e),[T];?" / HTTP/1.1', 400),
    "method_not_ascii": (b"G\xc9T / HTTP/1.1", 400),
    "method_endless": (b"G" * 30 + b" / HTTP/1.1", 400),
    "target_too_long": (b"GET /" + b"a" * 8192 + b" HTTP/1.1", 414),
}

_OTHERS = (
    Message("bare_lf_everywhere", b"GET / HTTP/1.1\nHost: a\nConnection: close\n\n", 400),
    Message("bare_lf_at_the_end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Message("bare_lf_first_line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    Message("bare_cr_then_request", b"GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Message("bare_crs_everywhere", b"GET / HTTP/1.1\rHost: a\r\r", 400),
    Message("http2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505),
    Message("tls_hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)), 400),
    Message("binary", b"\x00 / HTTP/............0596.7407.\r\n\r\n", 400),
    Message("two_empty_lines_first", b"\r\n\r\n" + _get(b"Host: a"), 400),
    Message("lf_first", b"\n" + _get(b"Host: a"), 400),
    Message("endless_word", b"A" * 100, 400),
    Message("chunked_http_10", _post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"), 400),
    Message("te_http_10_with_cl", _post(b"Transfer-Encoding: chunked", b"Content-Length: 5", version=b"1.0"), 400),
    Message("two_hosts_http_10", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    Message("expectation_unknown", _post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), 417),
    Message("expectation_list", _post(b"Expect: 100-continue, x", b"Content-Length: 5", body=b"hello"), 417),
    Message("expectation_without_body", _get(b"Host: a", b"Expect: magic"), 417),
    Message(
        "websocket",
        _get(b"Host: a", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        501,
    ),
    Message("headers_101", _get(b"Host: a", *(b"X-%d: y" % number for number in range(100))), 431),
    Message("head_too_large", _get(b"Host: a", *(b"X-%d: %b" % (n, b"y" * 8000) for n in range(9))), 431),
    Message("one_header_too_large", _get(b"Host: a", b"X: " + b"y" * 70_000), 431),
    Message("head_too_large_unended", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000, 431),
    Message("target_endless", b"GET /" + b"a" * 20_000, 414),
    Message("second_request_line_in_head", b"GET / HTTP/1.1\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Message("absolute_without_host", b"GET http://a/x HTTP/1.1\r\n\r\n", 400),
    Message("close_then_invalid", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\nInvalid\r\n\r\n", 400),
    Message(
        "tiny_chunks", _chunked(b"1\r\nx\r\n" * 10_001 + b"0\r\n\r\n"), 400
    ),
)  # fmt: skip

REFUSED: tuple[Message, ...] = (
    *(Message(name, _get(line) + SMUGGLED, 400) for name, line in _HOSTS.items()),
    *(Message(name, _post(line, body=b"0\r\n\r\n") + SMUGGLED, 400) for name, line in _LENGTHS.items()),
    *(Message(name, _post(line, body=b"0\r\n\r\n") + SMUGGLED, 400) for name, line in _CODINGS.items()),
    *(Message(name, _chunked(body) + SMUGGLED, 400) for name, body in _CHUNKS.items()),
    *(Message(name, _get(b"Host: a", line) + SMUGGLED, 400) for name, line in _FIELDS.items()),
    *(Message(name, line + b"\r\nHost: a\r\n\r\n" + SMUGGLED, s) for name, (line, s) in _REQUEST_LINES.items()),
    *_OTHERS,
)

ACCEPTED: tuple[Accepted, ...] = (
    Accepted("ordinary", _get(b"Host: a")),
    Accepted("one_empty_line_first", b"\r\n" + _get(b"Host: a")),
    Accepted("host_with_port", _get(b"Host: a:8000"), host="a:8000"),
    Accepted("host_ipv6", _get(b"Host: [::1]:8000"), host="[::1]:8000"),
    Accepted("host_ipv4", _get(b"hOST:127.0.0.1"), host="127.0.0.1"),
    Accepted("host_with_white_space", _get(b"Host: \t a \t")),
    Accepted("absolute", _get(b"Host: evil", target=b"http://a/x")),
    Accepted("absolute_https", _get(b"Host: a", target=b"HTTPS://a:443/x"), host="a:443"),
    Accepted("absolute_without_path", _get(b"Host: a", target=b"http://b?y"), raw_path="/", host="b"),
    Accepted("http_10", b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", closes=True),
    Accepted("http_10_without_host", b"GET /x HTTP/1.0\r\n\r\n", closes=True, host=None),
    Accepted("http_10_keep_alive", b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", closes=True),
    Accepted("close", _get(b"Host: a", b"Connection: close"), closes=True),
    Accepted("close_in_a_list", _get(b"Host: a", b"Connection: x, Close ,y"), closes=True),
    Accepted("close_in_another_line", _get(b"Host: a", b"Connection: close", b"Connection: keep-alive"), closes=True),
    Accepted("h2c_offer", _get(b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c")),
    Accepted("upgrade_unasked", _get(b"Host: a", b"Upgrade: websocket")),
    Accepted("latin_1_value", _get(b"Host: a", b"X: \x85caf\xe9\xa0")),
    Accepted("empty_value", _get(b"Host: a", b"X:")),
    Accepted("colons_in_value", _get(b"Host: a", b"X:: y:z")),
    Accepted("tab_in_value", _get(b"Host: a", b"X: a\tb")),
    Accepted("token_characters", _get(b"Host: a", b"!#$%&'*+-.^_`|~0Az: y")),
    Accepted("headers_100", _get(b"Host: a", *(b"X-%d: y" % number for number in range(99)))),
    Accepted("cookies", _get(b"Host: a", b"Cookie: a=b", b"Cookie: c=d")),
    Accepted("length", _post(b"Content-Length: 5", body=b"hello"), "POST", body="hello"),
    Accepted("length_0", _post(b"Content-Length: 0"), "POST"),
    Accepted("length_missing", _post(), "POST"),
    Accepted("length_on_get", _get(b"Host: a", b"Content-Length: 2") + b"hi", body="hi"),
    Accepted("chunks", _chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "POST", body="hello world"),
    Accepted("chunks_upper_case", _post(b"TRANSFER-ENCODING: CHUNKED", body=b"A\r\n0123456789\r\n0\r\n\r\n"), "POST",
             body="0123456789"),
    Accepted("chunks_none", _chunked(b"0\r\n\r\n"), "POST"),
    Accepted("chunks_with_zeros", _chunked(b"0005\r\nhello\r\n000\r\n\r\n"), "POST", body="hello"),
    Accepted("chunk_extensions", _chunked(b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'), "POST", body="hello"),
    Accepted("trailers", _chunked(b"5\r\nhello\r\n0\r\nHost: b\r\nAuthorization: c\r\n\r\n"), "POST", body="hello"),
    Accepted("body_like_a_request", _post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED), "POST",
             body=SMUGGLED.decode()),
    Accepted("chunk_like_an_end", _chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "POST", body="0\r\n\r\n"),
    Accepted("expect_ignored_in_http_10", _post(b"Expect: 100-continue", b"Content-Length: 2", body=b"hi",
                                               version=b"1.0"), "POST", body="hi", closes=True),
    Accepted("target_8_kib", _get(b"Host: a", target=b"/" + b"a" * 8191), raw_path="/" + "a" * 8191),
    Accepted("delete", b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE"),
    Accepted("options", b"OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS"),
)  # fmt: skip
