cdef class Exchange:
    cdef bint _bodiless, _chunked, _end_told, _is_http_11
    cdef list _chunks
    cdef object _connection, _event, _flow, _length_left, _on_leaving, _transport
    cdef str _method
    cdef public Py_ssize_t buffered, pieces
    cdef public bint client_left, is_running, keep_alive, more_body, response_complete, response_started
    cdef public bint waiting_for_continue, wants_websocket
    cdef public dict fields, scope
    cdef public object refusal, task
    cdef public str request_id

    cdef _wake(self)
    cdef _complete(self)
