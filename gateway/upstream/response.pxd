cdef class UpstreamResponse:
    cdef public list _buffer, headers
    cdef public dict fields
    cdef public object _connection, _error, _reader, switched
    cdef public bytes _unread, body
    cdef public Py_ssize_t buffered
    cdef public double connect_seconds, first_byte_seconds
    cdef public str replica
    cdef public long status
