cdef class Breaker:
    cdef public object _on_change, _policy
    cdef public double _open_seconds, retry_at
    cdef public long failures
    cdef public str state
