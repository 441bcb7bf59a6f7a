from servicekit.request_context cimport RequestFacts

cdef class Record:
    cdef public RequestFacts facts
    cdef public str method, route, upstream, replica, failure
    cdef public dict fields, tunnel
    cdef public long status
    cdef public bint started
    cdef public list limit_headers
    cdef public double upstream_seconds
