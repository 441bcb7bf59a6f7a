cdef class RequestFacts:
    cdef public str request_id, trace_id, trace_flags, client_ip, user
    cdef public bint is_from_proxy
    cdef public double started
