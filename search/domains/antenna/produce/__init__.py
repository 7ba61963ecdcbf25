"""Files of an antenna's result: description, pictures, files for manufacture and simulation."""
