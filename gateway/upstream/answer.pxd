cdef class Answer:
    cdef public list _fields, headers, chunks
    cdef public dict fields
    cdef public Py_ssize_t _left, _received, _unproductive
    cdef public object _parser, content_length
    cdef public str fault
    cdef public bint _sees_end, has_extra, head_done, is_complete, is_head_request, keep_alive, may_switch, until_eof
    cdef public bytes _tail, rest
    cdef public long status

    cpdef reset(self)
    cpdef feed(self, bytes data)
    cdef bint _read_plain(self, bytes data) except -1
