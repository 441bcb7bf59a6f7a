from gateway.upstream.replica cimport Replica

cdef class Balancer:
    cdef public object _clock, _policy, _ticker, _waiting
    cdef public str _name
    cdef public list _replicas
    cdef public bint is_closed

    cpdef Replica take_now(self, double now, Replica avoid)
    cdef Replica _choose(self, double now, Replica avoid=*)
