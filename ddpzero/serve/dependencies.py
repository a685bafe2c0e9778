"""What the functions of requests ask for in their arguments: the server, and the user who makes the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ddpzero.serve.accounts import User
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.server import CollectionServer


async def server_of(request: Request) -> CollectionServer:
    """Return the server that app.make_app was given."""
    server: CollectionServer = request.app.state.server
    return server


TheServer = Annotated[CollectionServer, Depends(server_of)]


async def admit_address(request: Request, server: TheServer) -> None:
    server.gate.admit_address(request)


async def any_user(request: Request, server: TheServer) -> User:
    return await server.gate.user(request)


async def learner(request: Request, server: TheServer) -> User:
    user = await server.gate.user(request)
    if user.role != "learner":
        raise Refusal(
            403,
            f"this needs the token of a learner, and {user.name} is none: ask the server's operator for one "
            "(ddpzero serve FOLDER --add-user NAME --role learner).",
        )
    return user


AnyUser = Annotated[User, Depends(any_user)]
Learner = Annotated[User, Depends(learner)]
# For requests without a token.
ADMITTED = Depends(admit_address)
