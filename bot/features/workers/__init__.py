"""Workers on other machines: who may dial in, and the door that they come through."""
