"""Order of the tour, and its summary."""

import httpx
from rich.console import Console
from rich.markup import escape

from waybill.problems import ClientError
from waybill_devstack.tour.backstage import NotRunningError
from waybill_devstack.tour.bad_input import bad_input
from waybill_devstack.tour.compose import ComposeError
from waybill_devstack.tour.failure_desk import failure_desk
from waybill_devstack.tour.killed_service import killed_service
from waybill_devstack.tour.narrator import Narrator, TourError
from waybill_devstack.tour.password_reset import password_reset
from waybill_devstack.tour.photograph import photograph
from waybill_devstack.tour.users import user_that_fails, user_through_an_outage
from waybill_devstack.tour.world import Places, World


async def take_tour(places: Places, console: Console) -> int:
    """Takes the whole tour on a running stack.

    Returns:
        0 if all of it was right, 1 if anything was not.
    """
    narrator = Narrator(console)
    world = World.of(places)
    try:
        await password_reset(world, narrator)
        await photograph(world, narrator, places.folder)
        await user_through_an_outage(world, narrator)
        failed = await user_that_fails(world, narrator)
        await failure_desk(world, narrator, failed)
        await killed_service(world, narrator)
        await bad_input(world, narrator, places.folder)
    except (TourError, NotRunningError, ComposeError, ClientError, httpx.HTTPError, TimeoutError) as error:
        console.print(f"\n[red]✗ The tour stopped:[/red] {escape(str(error) or type(error).__name__)}")
        console.print(f"  The logs of all processes are {places.backstage.logs}")
        return 1
    finally:
        await world.close()
    _sum_up(narrator, places)
    return 0


def _sum_up(narrator: Narrator, places: Places) -> None:
    say = narrator.console.print
    say("\n[bold green]All of it was right.[/bold green]")
    for line in narrator.seen:
        say(f"  [green]✓[/green] {escape(line)}")
    say(f"\nIt ran at {places.gateway} (API), {places.mailbox} (mailbox) and {places.crm} (crm);")
    say(f"its logs are {places.backstage.logs}")
    say("\nTo try it yourself: [bold]make up[/bold], then open the page that it names.")
