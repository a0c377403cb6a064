# Sourced by tools/demo and tools/test, in the root of the clone: virtual environment, package, Vulkan driver.
# Quick when nothing has changed since the last time.

stop() {
    echo "microlith: $*" >&2
    exit 1
}

note() {
    echo "microlith: $*" >&2
}

# apt_install PACKAGE...
apt_install() {
    command -v apt-get >/dev/null || stop "please install $* (this is not Debian or Ubuntu: its names may differ)"
    local root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || stop "please install as root: apt-get install $*"
        root=(sudo)
        [ -t 0 ] || root=(sudo -n)
    fi
    note "installing $* with apt"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null ||
        note "apt-get update failed; trying with the lists that are there"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        stop "could not install $*: is there a network, and may you install packages?"
}

# Prints the first Python of at least 3.11 that can make virtual environments.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

# set_up run|dev: makes .venv with the package, and with what the tests need.
set_up() {
    local kind=$1 extras="" key python
    [ "$kind" = dev ] && extras="[dev]"
    key=$({ pwd; cat pyproject.toml; } | sha256sum | cut -d' ' -f1)
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
        python=$(find_python) || {
            apt_install python3 python3-venv
            python=$(find_python) || stop "needs Python 3.11 or newer; found $(python3 --version 2>&1)"
        }
        note "making the virtual environment .venv"
        "$python" -m venv --clear .venv || stop "could not make the virtual environment .venv"
    fi
    if [ "$(cat ".venv/set-up-$kind" 2>/dev/null)" != "$key" ] && [ "$(cat .venv/set-up-dev 2>/dev/null)" != "$key" ]; then
        note "installing the package and what it needs into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -e ".$extras" ||
            stop "could not install the Python packages: is there a network? Run this again when there is"
        echo "$key" >".venv/set-up-$kind"
    fi
    # A screen that nobody sees, for the tests of the window.
    if [ "$kind" = dev ] && ! { command -v Xvfb && command -v xdotool; } >/dev/null; then
        apt_install xvfb xdotool libx11-6 libxcursor1 libxi6 libxinerama1 libxrandr2
    fi
    if ! .venv/bin/microlith device >/dev/null 2>&1; then
        apt_install libvulkan1 mesa-vulkan-drivers
        .venv/bin/microlith device >/dev/null || stop "no graphics adapter can run this, not even the software driver"
    fi
}
