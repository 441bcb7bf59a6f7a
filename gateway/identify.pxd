cdef class Identifier:
    cdef public object _verifier
    cdef public dict _callers, _scopes
    cdef public Py_ssize_t _max
    cpdef remembered(self, bytes authorization)
