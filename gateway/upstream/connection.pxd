from gateway.upstream.answer cimport Answer
from gateway.upstream.response cimport UpstreamResponse

cdef class Connection(Answer):
    cdef public object _clock, _deadlines, _drained, _hold, _loop, _owner, _stall, _upload, _waiter, transport
    cdef public bint _read_paused, busy
    cdef public UpstreamResponse _response
    cdef public Py_ssize_t _served
    cdef public double _started, _total_at, connect_seconds, deadline

    cdef _finish(self)
    cdef _end_exchange(self)
    cdef UpstreamResponse _make_response(self, bytes body, Connection connection)
