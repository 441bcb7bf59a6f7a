cdef class RetryBudget:
    cdef public double _balance, _most, _ratio
    cpdef note_request(self)
