"""python -m fleetui_cli"""

from fleetui_cli.main import main

raise SystemExit(main())
