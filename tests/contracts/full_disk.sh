# In a mount namespace of its own: $1 is the Python to use, $2 an empty directory.
set -e
mount -t tmpfs -o size=256k tmpfs "$2"
run() {
    "$1" - "$2/state" <<PYTHON
import sys
from macvnet.errors import MacvnetError
from macvnet.store import open_store
store = open_store(sys.argv[1], read_only=$4)
try:
    $3
except MacvnetError as error:
    print(type(error).__name__, error.message)
PYTHON
}
run "$1" "$2" "store.transact(lambda tx: tx.put('k', 1))" False
run "$1" "$2" "[store.transact(lambda tx: tx.put(str(n), 'x' * 9000)) for n in range(99)]" False
run "$1" "$2" "print(store.get('k'))" True
mount -o remount,ro "$2"
run "$1" "$2" "store.transact(lambda tx: tx.put('k', 2))" False
run "$1" "$2" "print(store.get('k'))" True
