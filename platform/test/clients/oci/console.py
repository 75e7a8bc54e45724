"""A client's side of --console-socket: console.py SOCKET COLUMNS ROWS. Takes one terminal, gives it that size, types its stdin, and tells what it says."""
import array, fcntl, os, select, socket, struct, sys, termios

path, columns, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1)
print("listening", flush=True)
connection, _ = listener.accept()
descriptors = array.array("i")
for level, kind, data in connection.recvmsg(4096, socket.CMSG_LEN(4))[1]:
    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
        descriptors.frombytes(data)
terminal = descriptors[0]
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
sources = [terminal, 0]
while True:
    ready = select.select(sources, [], [])[0]
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(terminal, typed)
        else:
            sources.remove(0)
    if terminal in ready:
        try:
            said = os.read(terminal, 4096)
        except OSError:
            break
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
