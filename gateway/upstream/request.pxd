cpdef bint lacks_host(list headers) except -1
