/** A thread of the tests that says nothing, hears nothing and does not end by itself. */
setInterval(() => {}, 1_000);
