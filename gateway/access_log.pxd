from gateway.record cimport Record
from servicekit.request_context cimport RequestFacts

cdef class AccessLog:
    cdef public bint _as_json, _log_info, _log_debug
    cdef public object _log
