/* Copyright: (c) 2026, The nanoagent.k8s maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A known number of events as fast as one thread can make them:
 *   bench-storm exec N       starts itself N times, one after the other; each start ends at once
 *   bench-storm connect N    makes N TCP connections to itself over loopback, one after the other
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void exec_storm(const char *self, long count)
{
	char *arguments[] = {(char *)self, NULL};
	char *environment[] = {NULL};

	for (long i = 0; i < count; i++) {
		pid_t child;
		int status;

		if (posix_spawn(&child, self, NULL, NULL, arguments, environment))
			errx(1, "a start failed");
		if (waitpid(child, &status, 0) != child || status)
			errx(1, "a start did not end well");
	}
}

static void connect_storm(long count)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	/* Closing by reset leaves no port in TIME_WAIT, of which there are too few. */
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16))
		err(1, "listen");
	if (getsockname(listener, (struct sockaddr *)&address, &size))
		err(1, "getsockname");
	for (long i = 0; i < count; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;

		if (client < 0 || connect(client, (struct sockaddr *)&address, size))
			err(1, "connect");
		server = accept(listener, NULL, NULL);
		if (server < 0)
			err(1, "accept");
		if (setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
			err(1, "linger");
		close(client);
		close(server);
	}
}

int main(int count, char **words)
{
	if (count == 1)
		return 0;
	if (count == 3 && !strcmp(words[1], "exec"))
		exec_storm(words[0], atol(words[2]));
	else if (count == 3 && !strcmp(words[1], "connect"))
		connect_storm(atol(words[2]));
	else
		errx(2, "usage: bench-storm exec|connect N");
	return 0;
}
