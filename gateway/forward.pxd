from gateway.edge.exchange cimport Exchange
from gateway.record cimport Record
from gateway.upstream.response cimport UpstreamResponse
from gateway.upstream.service cimport UpstreamService
from servicekit.request_context cimport RequestFacts

cdef class Forwarder:
    cdef public object current, _proxy_token
    cdef public Py_ssize_t _max_body_bytes
    cdef public set _retiring
    cdef public list _past
