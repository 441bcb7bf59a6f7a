from gateway.redis_link cimport RedisLink

cdef class Admission:
    cdef public RedisLink _link
    cdef public object _local
    cdef public bint _pass_without_denylist
    cdef public bytes _flag
    cdef public str _limit_on_outage
    cdef public dict _rendered

    cpdef Question ask(self, bytes denylist_key, policy, str limiter_key)

cdef class Question:
    cdef public _Rendered around
    cdef public bytes denylist_key, keys
    cdef public str limiter_key
    cdef public object policy, reply

cdef class _Rendered:
    cdef public bytes begin, begin_with_source, end, run_id
