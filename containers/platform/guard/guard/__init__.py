"""The guard: it owns the Docker Engine's socket, and speaks the engine's API on one of its own.

What runs tasks gets that one. A call that a stage needs is let through, any other is refused; the
call that makes a container is not let through but made anew, from the row of the table that it
names: so whoever can call gets what the table allows, and no more.

Imports go one way, from the bottom of this list to its top:

    refusals   what a client is told
    request    one request, read strictly
    routes     the calls that there are
    settings   what the guard is told by its environment
    tables     the rows, as the files have them now
    mounts     which directories a container of a row may see
    compose    the body that makes a container: of a row, and of nothing else
    engine     the Docker Engine
    provided   what the guard makes on the engine: a volume, and a dead link
    promises   what an engine has to be for the guard to keep what it promises
    answers    what a client gets of the engine's answers
    stored     the images of the engine
    owned      the guard's own containers
    calls      what is done for each call
    serve      the socket
"""
