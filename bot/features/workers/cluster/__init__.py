"""Workers on a Ray cluster: started, watched and ended by Ray Serve, as many as there is work for."""
