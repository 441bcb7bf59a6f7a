from gateway.upstream.breaker cimport Breaker
from gateway.upstream.connection cimport Connection

cdef class Replica:
    cdef public object _clock, _host, _on_free, _policy, _port, _ticket, _tls, _trial, probe
    cdef public set _connections
    cdef public list _idle
    cdef public Breaker breaker
    cdef public bytes host_line
    cdef public str name
    cdef public double _trial_until
    cdef public long outstanding

    cpdef bint has_room(self, double now) except -1
    cpdef bint accepts(self, double now) except -1
    cpdef take(self)
