cdef class RedisLink:
    cdef public object _broken, _connection, _scripts, _task, _up
    cdef public dict _options
    cdef public double _refusal_logged_at
    cdef public bytes run_id
    cdef public list shas
