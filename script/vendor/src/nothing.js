// Stands for parts of Node that the libraries use when they are there.
module.exports = {};
